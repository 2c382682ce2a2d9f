#!/bin/bash
# Makes examples/traffic.pcapng anew: real traffic between two network namespaces that this script creates and removes,
# captured on the side of the server. Nothing outside them is touched. Needs Linux, root, iproute2, ethtool, tcpdump,
# editcap (wireshark-common), curl, ping and python3. Times, ports and sequence numbers differ from run to run.
#
#     client  192.0.2.10 to .14, 2001:db8::10        02:00:00:00:00:01
#     server  192.0.2.1, 2001:db8::1                 02:00:00:00:00:02
#             198.51.100.10, the service that examples/loadbalancer.bpf.c balances
#     both    10.100.0.x in VLAN 100, 10.200.0.x in VLAN 300 within service VLAN 200
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/../examples/traffic.pcapng}
client=skep-client-$$
server=skep-server-$$
scratch=$(mktemp -d)
children=()

cleanup() {
  local status=$?
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$server" 2>/dev/null || true
  [ "$status" -eq 0 ] || cat "$scratch/log" >&2 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

for tool in ip ethtool tcpdump editcap curl ping python3; do
  command -v "$tool" >/dev/null || { echo "make-capture.sh needs $tool, which is not installed" >&2; exit 1; }
done

on() { ip netns exec "$1" "${@:2}"; }
start() { # in the background, to be stopped at the end
  ip netns exec "$@" >>"$scratch/log" 2>&1 &
  children+=($!)
}

ip netns add "$client"
ip netns add "$server"
on "$client" ip link add veth0 type veth peer name veth0 netns "$server"
for side in "$client 01" "$server 02"; do
  read -r space last <<<"$side"
  on "$space" ip link set lo up
  on "$space" ip link set veth0 address "02:00:00:00:00:$last"
  # Frames as they would be on a wire: no larger than the MTU, with their checksums and tags.
  on "$space" ethtool -K veth0 tx off rx off sg off tso off gso off gro off txvlan off rxvlan off >/dev/null 2>&1 || true
  on "$space" ip link set veth0 up
done
for last in 10 11 12 13 14; do on "$client" ip address add "192.0.2.$last/24" dev veth0; done
on "$client" ip address add 2001:db8::10/64 dev veth0 nodad
on "$server" ip address add 192.0.2.1/24 dev veth0
on "$server" ip address add 198.51.100.10/32 dev veth0
on "$server" ip address add 2001:db8::1/64 dev veth0 nodad
on "$client" ip route add 198.51.100.0/24 via 192.0.2.1

start "$server" tcpdump -i veth0 -w "$scratch/traffic.pcap" --nano -U -s 0 -Z root
sleep 1

host() { on "$client" python3 "$here/capture-hosts.py" "$@"; }
start "$client" python3 "$here/capture-hosts.py" vlan veth0 vlan100 vlan200.300
start "$server" python3 "$here/capture-hosts.py" vlan veth0 vlan100 vlan200.300
sleep 1
for side in "$client 2" "$server 1"; do
  read -r space last <<<"$side"
  on "$space" ip address add "10.100.0.$last/24" dev vlan100
  on "$space" ip address add "10.200.0.$last/24" dev vlan200.300
  on "$space" ip link set vlan100 mtu 1496 up
  on "$space" ip link set vlan200.300 mtu 1492 up
done

mkdir "$scratch/www"
for size in 200 2000 20000 60000; do
  head -c "$size" < <(yes 'the quick brown fox jumps over the lazy dog') >"$scratch/www/$size.txt"
done
for port in 80 443 8080; do
  start "$server" python3 -m http.server --bind :: --directory "$scratch/www" "$port"
done
start "$server" python3 "$here/capture-hosts.py" dns-server
sleep 2

get() { on "$client" curl -s -o /dev/null --max-time 5 "$@" || true; }
for i in $(seq 30); do get --interface "192.0.2.1$((i % 5))" http://198.51.100.10/200.txt; done
for i in $(seq 12); do get --interface "192.0.2.1$((i % 5))" http://198.51.100.10:8080/2000.txt; done
for i in $(seq 12); do get http://198.51.100.10:443/200.txt; done
for i in $(seq 8); do get http://192.0.2.1/2000.txt; done
get http://192.0.2.1:8080/60000.txt
get http://198.51.100.10/60000.txt
get http://198.51.100.10/missing.txt
for i in $(seq 10); do get "http://[2001:db8::1]/2000.txt"; done
for i in $(seq 6); do get "http://[2001:db8::1]:8080/200.txt"; done
get "http://[2001:db8::1]:443/60000.txt"
for i in $(seq 6); do get http://10.100.0.1/2000.txt; done
for i in $(seq 3); do get http://10.200.0.1:8080/20000.txt; done
for port in 22 81 3306 8443; do get "http://192.0.2.1:$port/"; get "http://[2001:db8::1]:$port/"; done

host dns 192.0.2.1 192.0.2.10 60
host dns 198.51.100.10 192.0.2.11 120
host dns 198.51.100.10 192.0.2.12 60
host dns 2001:db8::1 2001:db8::10 60
host dns 10.100.0.1 10.100.0.2 20
host datagrams

quietly() { on "$client" "$@" >/dev/null || true; }
quietly ping -c 20 -i 0.02 192.0.2.1
quietly ping -c 20 -i 0.02 2001:db8::1
quietly ping -c 5 -i 0.02 -s 4000 192.0.2.1
quietly ping -c 5 -i 0.02 -s 4000 2001:db8::1
quietly ping -c 10 -i 0.02 10.100.0.1
quietly ping -c 10 -i 0.02 10.200.0.1
host malformed veth0
sleep 1

kill "${children[0]}" # tcpdump, which writes what it still holds
wait "${children[0]}" || true
editcap -F pcapng "$scratch/traffic.pcap" "$target"
tcpdump -r "$target" -nn 2>/dev/null | wc -l | xargs echo "packets:"
stat -c 'bytes: %s' "$target"
