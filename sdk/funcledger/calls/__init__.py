"""What a client can be asked, by what it is about; :class:`funcledger.Client` is all of it."""
