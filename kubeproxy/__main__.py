"""`python -m kubeproxy`: options in, a running proxy out."""

from kubeproxy.command import main

if __name__ == "__main__":
    main()
