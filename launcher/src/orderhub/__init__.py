"""The orderhub command: brings the whole product up, drives it and checks it."""
