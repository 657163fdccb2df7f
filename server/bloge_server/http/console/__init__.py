"""The Ops Console: pages for people, rendered here, over the calls that every other tool makes."""
