"""What every app shares: problem documents, the one authorisation seam, limits, health and metrics."""
