"""What the tests share: real stores and servers, started and stopped by them."""
