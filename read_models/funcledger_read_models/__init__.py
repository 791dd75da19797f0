"""What is read: the documents that folds make of the log, and the store that keeps them."""
