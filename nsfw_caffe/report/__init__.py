"""What people look at: a summary of RESULTS as text and as a page."""
