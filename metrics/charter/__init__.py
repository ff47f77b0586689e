"""How the relationships that leadership declared important are doing."""
