"""The package on a machine that boots: systemd in a container, dnf in it, the stand-in host around it; root is needed."""
