"""The field app for phones on the local network: https, certificates, an access key."""
