"""Every address, by what it is about; `gateway/app.py` puts them together."""
