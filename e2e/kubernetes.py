"""Validates every document of standard input against Kubernetes' own schemas: kubernetes.py VERSION. Unknown fields are errors."""
import sys

import kubernetes_validate
import yaml

count = 0
for document in yaml.safe_load_all(sys.stdin):
    if kubernetes_validate.validate(document, sys.argv[1], strict=True) != sys.argv[1]:
        sys.exit(f"there is no schema of {sys.argv[1]}")
    count += 1
print(count)
