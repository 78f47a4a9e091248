"""A libtorrent peer for the cluster benchmark: lt_peer.py TORRENT FOLDER DONE-FILE

Downloads into FOLDER (or seeds what is there), without DHT, LSD, UPnP and PEX; writes DONE-FILE once complete, seeds on.
"""

import sys
import time

import libtorrent as lt

torrent, folder, done = sys.argv[1:]
session = lt.session({
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "listen_interfaces": "0.0.0.0:6881", "allow_multiple_connections_per_ip": True,
})
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
while not handle.status().is_seeding:
    time.sleep(0.02)
open(done, "w").close()
while True:
    time.sleep(3600)
