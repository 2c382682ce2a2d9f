// What a device reads of a packet: its length against the MTU, its protocol, and which queue it belongs to.

export const ETHERNET_HEADER = 14;
/** A VLAN tag comes on top of what the MTU allows (VLAN_HLEN). */
const VLAN_TAG = 4;

const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const VLAN = 0x8100;
const SERVICE_VLAN = 0x88a8;
/** Below it: the length of an 802.3 frame, which the 802.2 layer takes (ETH_P_802_3_MIN). */
const LEAST_ETHERTYPE = 0x600;
const TCP = 6;
const UDP = 17;

const u16 = (packet: Uint8Array, at: number): number => ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);

/** The EtherType. */
export const protocolOf = (packet: Uint8Array): number => u16(packet, 12);

/** Whether a packet goes over a cable with this MTU. */
export const fits = (packet: Uint8Array, mtu: number): boolean =>
  packet.length >= ETHERNET_HEADER && packet.length <= mtu + ETHERNET_HEADER + VLAN_TAG;

/** Whether the network stack has somebody for a packet; Linux counts the others as dropped. */
export function isKnownProtocol(packet: Uint8Array): boolean {
  let protocol = protocolOf(packet);
  // One tag is taken off before anybody is asked.
  if (protocol === VLAN || protocol === SERVICE_VLAN) protocol = u16(packet, ETHERNET_HEADER + 2);
  return protocol === IPV4 || protocol === ARP || protocol === IPV6 || protocol < LEAST_ETHERTYPE;
}

/** The first bit of the destination: sent to a group. */
export const isMulticast = (packet: Uint8Array): boolean => ((packet[0] ?? 0) & 1) !== 0;

/** The bytes by which a card tells flows apart: addresses, and the ports of TCP and UDP. Empty for anything else. */
function flowOf(packet: Uint8Array): Uint8Array[] {
  const ip = ETHERNET_HEADER;
  const protocol = protocolOf(packet);
  if (protocol === IPV4 && packet.length >= ip + 20) {
    const next = packet[ip + 9];
    const ports = ip + ((packet[ip] ?? 0) & 15) * 4;
    const fragment = (u16(packet, ip + 6) & 0x3fff) !== 0;
    const addresses = packet.subarray(ip + 12, ip + 20);
    if (fragment || (next !== TCP && next !== UDP)) return [addresses];
    return [addresses, packet.subarray(ports, ports + 4)];
  }
  if (protocol === IPV6 && packet.length >= ip + 40) {
    const next = packet[ip + 6];
    const addresses = packet.subarray(ip + 8, ip + 40);
    return next === TCP || next === UDP ? [addresses, packet.subarray(ip + 40, ip + 44)] : [addresses];
  }
  return [];
}

/** The receive queue of a packet: packets of one flow come in by the same (FNV-1a over what makes the flow). */
export function queueOf(packet: Uint8Array, queues: number): number {
  if (queues === 1) return 0;
  let hash = 0x811c9dc5;
  for (const part of flowOf(packet)) for (const byte of part) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % queues;
}
