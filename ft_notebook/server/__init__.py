"""The Jupyter server's side: runs over HTTP, for views that must not depend on a kernel. Never imports torch."""
