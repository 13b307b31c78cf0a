# Work of an interpreter: calls, JSON, regular expressions, sorting.
import json
import re


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


while True:
    fib(20)
    json.loads(json.dumps([{"a": i} for i in range(2000)]))
    re.findall(r"(a|b)+c", "ababac" * 200)
    sorted(range(5000), key=lambda x: -x)
