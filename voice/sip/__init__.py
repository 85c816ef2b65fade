"""SIP: a call from any phone or trunk, over a real SIP stack in a process of its own.

The process is a carrier like any other to the gateway: it brings each call over a media socket, and takes orders
(dial, hang up, transfer, keys) over HTTP. ``python -m voice.sip`` runs it; `offhook up` does where ``[sip]`` is on.
"""
