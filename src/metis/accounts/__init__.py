"""Keys, users, teams, projects and what they may spend: pure rules and ports, no storage."""
