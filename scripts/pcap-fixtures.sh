#!/bin/sh
# Makes test/pcap/captures anew from examples/traffic.pcapng: captures as tcpdump, editcap and mergecap write them, and
# beside each what tshark reads from it (time, interface, length on the wire, captured length, verdict of XDP, MD5 of
# the bytes). Needs `npm run build` before, for the file that our own writer makes.
set -eu
cd "$(dirname "$0")/.."
for tool in tcpdump editcap mergecap tshark; do
  command -v "$tool" >/dev/null || { echo "pcap-fixtures.sh needs $tool, which is not installed" >&2; exit 1; }
done
out=test/pcap/captures
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"

# A packet in twenty, so that there is some of everything.
editcap -r examples/traffic.pcapng "$out/sample.pcapng" $(seq 1 20 2400)
tcpdump -r "$out/sample.pcapng" --nano -w "$out/nano.pcap" -Z root 2>/dev/null
tcpdump -r "$out/sample.pcapng" --micro -w "$out/micro.pcap" -Z root 2>/dev/null
editcap -s 60 "$out/nano.pcap" "$out/snapped.pcapng"
editcap -F pcap "$out/micro.pcap" "$scratch/raw.pcap" -T rawip
editcap "$scratch/raw.pcap" "$out/rawip.pcapng"
mergecap -a -I none -w "$scratch/merged.pcapng" "$out/micro.pcap" "$out/snapped.pcapng"
# mergecap writes the release of this machine's kernel, which has no business in the repository.
sed "s/$(uname -r)/$(uname -r | tr -c '\n' .)/" "$scratch/merged.pcapng" >"$out/merged.pcapng"
node scripts/pcap-exotic.mjs "$out/exotic.pcapng"

# Our own writer: the sample again, packet i with verdict i modulo 6, where 5 stands for none.
node --input-type=module - "$out/sample.pcapng" "$out/written.pcapng" <<'SCRIPT'
import { readFileSync, writeFileSync } from 'node:fs';
import { PcapngWriter, readPackets } from './dist/pcap/index.js';
const chunks = [];
const writer = new PcapngWriter((chunk) => chunks.push(chunk), { application: 'skep' });
writer.addInterface({ name: 'veth0', snapLength: 262144 });
let number = 0;
for await (const block of readPackets([readFileSync(process.argv[2])])) {
  for (let i = 0; i < block.count; i++, number++) {
    writer.write(block.data.subarray(block.offsets[i], block.offsets[i + 1]), {
      timestamp: block.timestamps[i],
      originalLength: block.originalLengths[i],
      ...(number % 6 === 5 ? {} : { verdict: number % 6 }),
    });
  }
}
writer.flush();
writeFileSync(process.argv[3], Buffer.concat(chunks));
SCRIPT

for file in "$out"/*.pcap "$out"/*.pcapng; do
  tshark -r "$file" -o frame.generate_md5_hash:TRUE -T fields \
    -e frame.time_epoch -e frame.interface_id -e frame.len -e frame.cap_len \
    -e frame.verdict.ebpf_xdp -e frame.md5_hash >"$file.tsv" 2>/dev/null
done
{
  echo "Made by scripts/pcap-fixtures.sh with:"
  tcpdump --version 2>&1 | head -2
  tshark --version | head -1
} >"$out/MADE-WITH.txt"
