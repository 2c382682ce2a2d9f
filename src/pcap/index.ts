// Captures of packets: pcap and pcapng in, pcapng out.

export type { CaptureInterface, PacketBlock } from './block.js';
export { LinkType, linkTypeName } from './link-type.js';
export { type ReadOptions, readPackets } from './reader.js';
export { type PcapngInterface, type PcapngOptions, type PcapngPacket, PcapngWriter } from './writer.js';
