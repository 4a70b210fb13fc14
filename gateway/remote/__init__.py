"""The other end of the line: what programs and the command line use to speak to a gateway."""
