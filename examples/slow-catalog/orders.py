"""Orders pizzas, all at once, and says which share of the orders failed. Exits 1 where that is too many."""

import argparse
import concurrent.futures
import sys
import urllib.error
import urllib.request


def order(url):
    try:
        with urllib.request.urlopen(url, data=b"{}", timeout=50) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--count", type=int, default=40)
    arguments.add_argument("--at-most", type=float, default=0.1, metavar="SHARE")
    given = arguments.parse_args()
    with concurrent.futures.ThreadPoolExecutor(given.count) as pool:
        results = list(pool.map(order, [given.url] * given.count))
    share = results.count(False) / given.count
    print(f"{share:.2%} of {given.count} orders failed")
    sys.exit(share > given.at_most)


if __name__ == "__main__":
    main()
