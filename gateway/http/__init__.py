"""What all requests and answers have in common, whatever their route."""
