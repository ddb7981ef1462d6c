//! What a power loss leaves of the changes that no sync had covered.

use super::tree::{DataChange, Node, NodeId, Standing, Tree, apply_data};
use super::{PAGE_SIZE_BYTES, SECTOR_SIZE_BYTES};
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::prng::Prng;

/// How a power loss treats what was not synced, contents and names alike. What was synced always survives.
///
/// A surviving write leaves its 512-byte sectors as they were in the cache after it, so no damage is finer than a
/// sector. A rename survives whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Nothing survives.
    LoseAll,
    /// The changes up to a random point survive, the later ones do not.
    Prefix,
    /// Each change survives or not, independently.
    RandomSubset,
    /// Pages reach the disk in any order: each page of each file, each file's length and each name is found as after
    /// a random one of its changes.
    Reordered,
    /// Each write survives, is lost, or is torn between sectors of 512 bytes.
    TornSectors512,
    /// Each write survives, is lost, or is torn between pages of 4096 bytes.
    TornPages4096,
}

impl Damage {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::LoseAll,
        Self::Prefix,
        Self::RandomSubset,
        Self::Reordered,
        Self::TornSectors512,
        Self::TornPages4096,
    ];
}

/// What becomes of one change.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    Kept,
    /// Each unit of this many bytes is kept or lost, by a draw from this seed.
    Torn {
        unit_bytes: u64,
        seed: u64,
    },
    /// Each page is kept if the change is not later than the page's last surviving one.
    ByPage,
}

/// The last surviving change of each page of each file; [`LENGTH`] stands for the file's length.
type PageHistory = BTreeMap<(NodeId, u64), u64>;
const LENGTH: u64 = u64::MAX;

/// Turns `tree` into what a machine finds after a power loss.
pub(super) fn strike(tree: &mut Tree, damage: Damage, rng: &mut Prng) {
    let loose = loose_changes(tree);
    let fates = draw_fates(&loose, damage, rng);
    let pages = if damage == Damage::Reordered { draw_pages(tree, rng) } else { PageHistory::new() };

    for pending in std::mem::take(&mut tree.names) {
        let kept = pending.standing == Standing::Durable || matches!(fates[&pending.seq], Fate::Kept);
        if kept {
            tree.apply_name(&pending.change);
        }
    }
    for (id, node) in &mut tree.nodes {
        let Node::File(file) = node else { continue };
        let content = Arc::make_mut(&mut file.durable);
        for pending in std::mem::take(&mut file.pending) {
            let fate = fates.get(&pending.seq).copied().unwrap_or(Fate::Kept);
            let in_page_history = |page| pages.get(&(*id, page)).is_some_and(|last| pending.seq <= *last);
            let kept = |offset: u64| match fate {
                Fate::Lost => false,
                Fate::Kept => true,
                Fate::ByPage => in_page_history(offset / PAGE_SIZE_BYTES),
                Fate::Torn { unit_bytes, seed } => Prng::new(seed ^ (offset / unit_bytes)).chance(1, 2),
            };
            let is_resize = matches!(pending.change, DataChange::Resize { .. });
            let resized = match fate {
                Fate::Lost => false,
                Fate::ByPage => in_page_history(LENGTH),
                // A length has no parts to be torn between.
                Fate::Kept | Fate::Torn { .. } => true,
            };
            if resized || !is_resize {
                apply_data(content, &pending.change, kept);
            }
        }
    }
    tree.reload();
}

/// The changes whose survival is open, in their order, and whether each is one of names.
fn loose_changes(tree: &Tree) -> Vec<(u64, bool)> {
    let mut loose: Vec<(u64, bool)> = Vec::new();
    loose.extend(
        tree.names.iter().filter(|entry| entry.standing != Standing::Durable).map(|entry| (entry.seq, true)),
    );
    for node in tree.nodes.values() {
        if let Node::File(file) = node {
            let open = file.pending.iter().filter(|entry| entry.standing != Standing::Durable);
            loose.extend(open.map(|entry| (entry.seq, false)));
        }
    }
    loose.sort_unstable();
    loose
}

fn draw_fates(loose: &[(u64, bool)], damage: Damage, rng: &mut Prng) -> BTreeMap<u64, Fate> {
    let prefix = rng.below(loose.len() as u64 + 1) as usize;
    let coin = |rng: &mut Prng| if rng.chance(1, 2) { Fate::Kept } else { Fate::Lost };
    let torn = |unit_bytes: u64, rng: &mut Prng| match rng.below(3) {
        0 => Fate::Lost,
        1 => Fate::Kept,
        _ => Fate::Torn { unit_bytes, seed: rng.next_u64() },
    };
    let fate = |position: usize, is_name: bool, rng: &mut Prng| match damage {
        Damage::LoseAll => Fate::Lost,
        Damage::Prefix if position < prefix => Fate::Kept,
        Damage::Prefix => Fate::Lost,
        Damage::RandomSubset => coin(rng),
        _ if is_name => coin(rng),
        Damage::Reordered => Fate::ByPage,
        Damage::TornSectors512 => torn(SECTOR_SIZE_BYTES, rng),
        Damage::TornPages4096 => torn(PAGE_SIZE_BYTES, rng),
    };
    loose.iter().enumerate().map(|(position, (seq, is_name))| (*seq, fate(position, *is_name, rng))).collect()
}

/// Draws for each page that has open changes the last one that survives; none of them if it is not in the result.
fn draw_pages(tree: &Tree, rng: &mut Prng) -> PageHistory {
    let mut histories: BTreeMap<(NodeId, u64), Vec<u64>> = BTreeMap::new();
    for (id, node) in &tree.nodes {
        let Node::File(file) = node else { continue };
        for entry in file.pending.iter().filter(|entry| entry.standing != Standing::Durable) {
            match &entry.change {
                DataChange::Resize { .. } => histories.entry((*id, LENGTH)).or_default().push(entry.seq),
                DataChange::Write { start, end, .. } => {
                    for page in start / PAGE_SIZE_BYTES..end.div_ceil(PAGE_SIZE_BYTES) {
                        histories.entry((*id, page)).or_default().push(entry.seq);
                    }
                }
            }
        }
    }
    let mut last = PageHistory::new();
    for (key, history) in histories {
        let surviving = rng.below(history.len() as u64 + 1);
        if surviving > 0 {
            last.insert(key, history[surviving as usize - 1]);
        }
    }
    last
}
