"""Read models in MongoDB: for deployments of many processes (docs/decisions/0010-guarded-documents.md)."""

from funcledger_read_models.mongo.layout import UnusableDatabase
from funcledger_read_models.mongo.store import MongoStore

__all__ = ["MongoStore", "UnusableDatabase"]
