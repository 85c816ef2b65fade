"""Configuration that ships with Offhook: profiles, agents, rules and dashboards (data only)."""
