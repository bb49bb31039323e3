"""What visitors bring and take away: instructions and texts, files, exports, and paper."""
