"""The engine ``local``: one supervised process per worker slot on this machine."""
