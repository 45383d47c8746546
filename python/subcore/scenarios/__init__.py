"""The scenarios subcore exists for, played with the plain manager and with subcore: `subcore demo --scenario all`."""
