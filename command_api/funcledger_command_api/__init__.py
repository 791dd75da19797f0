"""The command side: register, share, submit, cancel. Validates, authorises from memory and appends."""
