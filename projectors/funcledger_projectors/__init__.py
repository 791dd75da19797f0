"""The pure folds that make documents of the log, and the runner that applies them."""
