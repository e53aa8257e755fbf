"""The request-level path of single-vector retrievers: what the last sync published, frozen into arrays.

    server = freeze(retriever)
    server.offer(offers)                                  # bids and who may compete, as often as they change
    ads, logits = server.serve(users, time, context, k)   # features -> state fetch -> user tower -> search -> top k

Reading order: ``server`` is the path; ``layers`` reads a tower's layers, those that somebody else replaced among them;
``runtimes`` runs them; ``search.scan`` finds the best ads by scoring all of them. Results are the retriever's own, up
to the rounding of float32.
"""

from baselines.serving.server import Served, Server, freeze

__all__ = ["Served", "Server", "freeze"]
