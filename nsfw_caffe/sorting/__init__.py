"""Moving, copying or linking what was scored to where it belongs: nothing is overwritten, nothing is lost."""
