"""Message passing: processors whose nodes hear from other nodes of their graph."""
