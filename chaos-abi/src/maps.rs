//! Names and sizes of maps and programs, and the constants of the time bounds.

/// Targets by number: `Array<Target>`.
pub const TARGETS: &str = "TARGETS";
/// Rules by slot: `Array<Rule>`. A rule does not change while a target refers to it.
pub const RULES: &str = "RULES";
/// When rules act, by slot: `Array<Window>`.
pub const WINDOWS: &str = "WINDOWS";
/// What rules remember, by slot: `Array<Memory>`.
pub const MEMORIES: &str = "MEMORIES";
/// Distributions of delays, by the number that rules name: `Array<Quantiles>`.
pub const TABLES: &str = "TABLES";
/// Counters by rule slot: `PerCpuArray<Counters>`.
pub const COUNTERS: &str = "COUNTERS";
/// Peers of all rules: `LpmTrie<PeerKey, u32>`.
pub const PEERS: &str = "PEERS";
/// Targets at XDP: `Array<u32>` with [`MAX_TARGETS`] places; see there.
pub const ARRIVALS: &str = "ARRIVALS";
/// Ports that no rule touches: `HashMap<ProtectedPort, u32>`.
pub const PROTECTED: &str = "PROTECTED";
/// What rules remember of connections: `LruHashMap<FlowKey, FlowMemory>`.
pub const CONNECTIONS: &str = "CONNECTIONS";
/// Latest departure of each flow that has jitter: `LruHashMap<u64, u64>`.
pub const FLOWS: &str = "FLOWS";
/// Ports of the first fragments of datagrams, source in the upper half: `LruHashMap<u64, u32>`.
pub const FRAGMENTS: &str = "FRAGMENTS";
/// What rules write, by slot: `Array<Rewrite>`.
pub const REWRITES: &str = "REWRITES";
/// Connections that were sent elsewhere: `LruHashMap<SteeredKey, Steered>`.
pub const STEERED: &str = "STEERED";
/// Names of questions, of all rules: `LpmTrie<DnsName, u32>`.
pub const DNS_NAMES: &str = "DNS_NAMES";
/// What rules answer to questions, by slot: `Array<DnsAnswer>`.
pub const DNS_ANSWERS: &str = "DNS_ANSWERS";
/// One entry: the question under way: `PerCpuArray`.
pub const DNS_QUESTION: &str = "DNS_QUESTION";
/// One entry: when the agent was last alive, in `CLOCK_MONOTONIC` nanoseconds: `Array<u64>`.
pub const LIVENESS: &str = "LIVENESS";
/// One entry: the line engine: `Array<u32>`.
pub const LINE_ENGINE: &str = "LINE_ENGINE";

/// Most targets at a time.
pub const MAX_TARGETS: u32 = 1024;
/// Most rules at a time, over all targets.
pub const MAX_RULES: u32 = 4096;
/// Set of [`PEERS`] that no rule touches: no rule has it.
pub const PROTECTED_SET: u32 = MAX_RULES;
/// Most peers at a time, over all rules.
pub const MAX_PEERS: u32 = 1 << 17;
/// Most names of questions at a time, over all rules.
pub const MAX_DNS_NAMES: u32 = 1 << 16;
/// Most ports that no rule touches.
pub const MAX_PROTECTED_PORTS: u32 = 1024;
/// Most flows whose order is kept at a time.
pub const MAX_FLOWS: u32 = 1 << 15;
/// Most connections of which something is remembered at a time, over all rules.
pub const MAX_CONNECTIONS: u32 = 1 << 15;
/// Most datagrams at a time whose fragments are under way.
pub const MAX_FRAGMENTS: u32 = 1 << 13;
/// Most distributions at a time.
pub const MAX_TABLES: u32 = 64;

/// Classifier for packets that leave a target.
pub const PROGRAM_EGRESS: &str = "chaos_egress";
/// Classifier for packets that arrive at a target.
pub const PROGRAM_INGRESS: &str = "chaos_ingress";
/// Writes into a packet, called by the classifiers.
pub const PROGRAM_REWRITE: &str = "chaos_rewrite";
/// Translates answers from where connections were sent, called by the classifiers and calls them.
pub const PROGRAM_BACK: &str = "chaos_back";
/// For packets that arrive at the node, at XDP.
pub const PROGRAM_ARRIVAL: &str = "chaos_arrival";
/// For packets that arrive at sockets of the node.
pub const PROGRAM_SOCKET: &str = "chaos_socket";
/// Answers a packet, called by the classifiers.
pub const PROGRAM_ANSWER: &str = "chaos_answer";
/// Answers a DNS question, called by the classifiers.
pub const PROGRAM_DNS: &str = "chaos_dns";
/// Far end of a line for leaving packets.
pub const PROGRAM_OUT: &str = "chaos_out";
/// Far end of a line for arriving packets.
pub const PROGRAM_IN: &str = "chaos_in";
/// Constant of the line's object: number of the target's interface.
pub const LINE_IFINDEX: &str = "IFINDEX";
/// Constant of the line's object: the target's number.
pub const LINE_TARGET: &str = "TARGET";
/// What is attached: writes the target's number into the packet's control block and calls one of the above.
pub const PROGRAM_ENTRY: &str = "chaos_entry";

/// What the classifiers call: `ProgramArray`.
pub const ACTIONS: &str = "ACTIONS";
/// Place of [`PROGRAM_ANSWER`] in [`ACTIONS`].
pub const ACTION_ANSWER: u32 = 0;
/// Place of [`PROGRAM_REWRITE`].
pub const ACTION_REWRITE: u32 = 1;
/// Place of [`PROGRAM_BACK`].
pub const ACTION_BACK: u32 = 2;
/// Place of [`PROGRAM_EGRESS`].
pub const ACTION_EGRESS: u32 = 3;
/// Place of [`PROGRAM_INGRESS`].
pub const ACTION_INGRESS: u32 = 4;
/// Place of [`PROGRAM_DNS`].
pub const ACTION_DNS: u32 = 5;
/// How many places [`ACTIONS`] has.
pub const MAX_ACTIONS: u32 = 6;

/// Map of the entry object with one element, the program to call: `ProgramArray`.
pub const ENTRY_CALLS: &str = "CALLS";
/// Constant of the entry object: the target's number.
pub const ENTRY_TARGET: &str = "TARGET";

/// The programs pass everything when [`LIVENESS`] is older than this.
pub const LIVENESS_LIMIT_NS: u64 = 3_000_000_000;
