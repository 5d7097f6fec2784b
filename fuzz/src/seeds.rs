//! Seeds of one target in one file: for each its length in four bytes, big-endian, and its bytes.

/// Takes the file apart.
pub fn unpack(mut file: &[u8]) -> Vec<&[u8]> {
    let mut seeds = Vec::new();
    while let Some((len, rest)) = file.split_first_chunk() {
        let (seed, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        seeds.push(seed);
        file = rest;
    }
    assert!(file.is_empty(), "a seed is cut off");
    seeds
}

/// Puts it together: shortest first, each once.
pub fn pack(mut seeds: Vec<Vec<u8>>) -> Vec<u8> {
    seeds.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    seeds.dedup();
    let mut file = Vec::new();
    for seed in seeds {
        file.extend((seed.len() as u32).to_be_bytes());
        file.extend(seed);
    }
    file
}
