"""What a set of interests would take, before anybody subscribes: read a plan, rehearse it, and foretell its costs."""
