//! Flipped, removed, added, swapped, repeated, cut: found, and the first bad line is the one that is
//! named.

use std::fs;

use proptest::prelude::*;

use super::super::What;
use super::*;

/// A trail in three files, and where its lines are.
struct Whole {
    dir: Dir,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Whole {
    fn new(n_lines: usize, most: u64) -> Self {
        let dir = Dir::new();
        put(&mut found(&dir.0, most).paper, n_lines);
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        };
        let files = dir.files().into_iter().map(read).collect();
        let whole = Self { dir, files };
        whole.dir.verify().unwrap();
        whole
    }

    /// The number of the line that holds this byte, and its place in the file.
    fn at(&self, file: usize, byte: usize) -> (u64, u64) {
        let count = |bytes: &[u8]| bytes.iter().filter(|it| **it == b'\n').count() as u64;
        let before: u64 = self.files[..file].iter().map(|it| count(&it.1)).sum();
        let line = count(&self.files[file].1[..byte]) + 1;
        (before + line, line)
    }

    /// Has `bytes` in place of a file, and sees what is found.
    #[track_caller]
    fn with(&self, file: usize, bytes: &[u8]) -> Broken {
        let (path, good) = &self.files[file];
        fs::write(path, bytes).unwrap();
        let broken = self.dir.verify().expect_err("it is damaged");
        fs::write(path, good).unwrap();
        broken
    }

    fn lines(&self, file: usize) -> Vec<Vec<u8>> {
        self.files[file].1.split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect()
    }

    #[track_caller]
    fn flipped(&self, file: usize, byte: usize, bit: u8) {
        let mut bytes = self.files[file].1.clone();
        bytes[byte] ^= 1 << bit;
        let (seq, line) = self.at(file, byte);
        let broken = self.with(file, &bytes);
        let named = (broken.seq, broken.line, &broken.path);
        assert_eq!(named, (seq, line, &self.files[file].0), "{byte}.{bit}: {broken}");
    }

    #[track_caller]
    fn cut(&self, file: usize, length: usize) {
        let last = file + 1 == self.files.len();
        let (seq, line) = self.at(file, length);
        let broken = self.with(file, &self.files[file].1[..length]);
        assert_eq!(broken.seq, seq, "{length}: {broken}");
        let whole = length == 0 || self.files[file].1[length - 1] == b'\n';
        let expected = match (whole, last) {
            (false, _) => (What::Unended, file, line),
            (true, true) => {
                (What::Cut { head: self.at(file, self.files[file].1.len()).0 - 1 }, file, line)
            }
            (true, false) if length == 0 => (What::Empty, file, 1),
            (true, false) => (What::Missing { last: self.at(file + 1, 0).0 - 1 }, file + 1, 1),
        };
        let path = self.files[expected.1].0.clone();
        assert_eq!(
            (broken.what, broken.path, broken.line),
            (expected.0, path, expected.2),
            "{length}"
        );
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_short_trail() {
    let whole = Whole::new(7, 400);
    assert_eq!(whole.files.len(), 3);
    for file in 0..3 {
        let length = whole.files[file].1.len();
        for byte in 0..length {
            (0..8).for_each(|bit| whole.flipped(file, byte, bit));
            whole.cut(file, byte);
        }
    }
}

#[test]
fn ten_thousand_lines_in_three_files() {
    let whole = Whole::new(9_998, 600_000);
    let sound = whole.dir.verify().unwrap();
    let expected =
        Sound { n_files: 3, n_lines: 10_000, first: 1, last: 10_000, ..Sound::default() };
    assert_eq!(sound, expected);
    for file in 0..3 {
        let (length, lines) = (whole.files[file].1.len(), whole.lines(file));
        let end = lines[0].len() - 1;
        for (byte, bit) in
            [(0, 0), (7, 1), (end, 3), (length / 2, 5), (length - 1, 2), (length - 2, 7)]
        {
            whole.flipped(file, byte, bit);
        }
        whole.cut(file, length / 3);
        whole.cut(file, lines[0].len());
        let middle = lines.len() / 2;
        let (first, _) = whole.at(file, 0);
        let seq = |index: usize| first + index as u64;
        let check = |lines: &[Vec<u8>], index: usize, what: &What| {
            let broken = whole.with(file, &lines.concat());
            let named = (broken.seq, broken.line, &broken.what);
            assert_eq!(named, (seq(index), index as u64 + 1, what), "{broken}");
        };
        let mut removed = lines.clone();
        removed.remove(middle);
        check(&removed, middle, &What::Missing { last: seq(middle) });
        let mut added = lines.clone();
        added.insert(middle, b"{\"seq\":1}\n".to_vec());
        check(&added, middle, &What::NoLine);
        let mut repeated = lines.clone();
        repeated.insert(middle, lines[middle - 1].clone());
        check(&repeated, middle, &What::Repeated { seq: seq(middle - 1) });
        let mut swapped = lines.clone();
        swapped.swap(middle, middle + 1);
        check(&swapped, middle, &What::Swapped { with: seq(middle + 1) });
        let mut forged = lines.clone();
        let text = String::from_utf8(lines[middle].clone()).unwrap();
        forged[middle] = text.replace("\"n\":\"", "\"n\":\"1").into_bytes();
        check(&forged, middle, &What::Changed);
    }
}

#[test]
fn a_file_that_is_gone_or_has_another_name() {
    let whole = Whole::new(7, 400);
    for (file, (path, good)) in whole.files.iter().enumerate() {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside).unwrap();
        let broken = whole.dir.verify().unwrap_err();
        assert_eq!(broken.seq, whole.at(file, 0).0, "{broken}");
        fs::rename(&aside, path).unwrap();
        let other = path.with_file_name(files::name(whole.at(file, 0).0 + 1));
        fs::rename(path, &other).unwrap();
        let broken = whole.dir.verify().unwrap_err();
        let named = (broken.seq, broken.what, broken.path);
        assert_eq!(named, (whole.at(file, 0).0, What::Name, other.clone()));
        fs::rename(&other, path).unwrap();
        assert_eq!(&fs::read(path).unwrap(), good);
    }
    whole.dir.files().iter().for_each(|it| fs::remove_file(it).unwrap());
    let broken = whole.dir.verify().unwrap_err();
    assert_eq!((broken.seq, broken.what), (1, What::Cut { head: 9 }));
}

#[test]
fn files_that_were_archived_leave_a_rest_that_proves_itself() {
    let whole = Whole::new(7, 400);
    fs::remove_file(&whole.files[0].0).unwrap();
    assert_eq!(whole.dir.verify().unwrap_err().what, What::Missing { last: 3 });
    let rest = verify(&whole.dir.0, 4).unwrap().unwrap();
    assert_eq!((rest.first, rest.last, rest.n_lines), (4, 9, 6));
    // Its first line is proven by the hash that it brings along.
    for (byte, _) in whole.files[1].1.iter().enumerate().take(100) {
        let mut bytes = whole.files[1].1.clone();
        bytes[byte] ^= 1;
        fs::write(&whole.files[1].0, &bytes).unwrap();
        assert_eq!(verify(&whole.dir.0, 4).unwrap().unwrap_err().seq, 4, "{byte}");
    }
}

#[test]
fn a_head_that_is_damaged_gone_or_of_another_trail() {
    let whole = Whole::new(7, 400);
    let path = whole.dir.0.join("head");
    let good = fs::read(&path).unwrap();
    for byte in [0, 20, 30, 100, 200, 4_095, 4_096, 4_150, 8_191] {
        let mut bytes = good.clone();
        bytes[byte] ^= 4;
        fs::write(&path, &bytes).unwrap();
        let broken = whole.dir.verify().unwrap_err();
        assert!(matches!(broken.what, What::Head(_)) && broken.path == path, "{byte}: {broken}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(whole.dir.verify().unwrap_err().what, What::Head(_)));
    // A whole chain, written anew.
    let other = Dir::new();
    let clock = Arc::new(ManualClock::new(UnixMicros(NOW.0 + 1)));
    put(&mut recover(&other.0, clock, 400).unwrap().paper, 7);
    fs::copy(other.0.join("head"), &path).unwrap();
    assert_eq!(whole.dir.verify().unwrap_err().what, What::Rewritten);
    assert_eq!(whole.dir.verify().unwrap_err().seq, 9);
}

#[test]
fn beside_a_proxy_that_writes() {
    let whole = Whole::new(7, 400);
    let (path, good) = &whole.files[2];
    // What was written since `head` was read, and what is being written.
    let mut paper = found(&whole.dir.0, u64::MAX).paper;
    let before = fs::read(whole.dir.0.join("head")).unwrap();
    paper.write(&[line(1)]).unwrap();
    drop(paper);
    fs::write(whole.dir.0.join("head"), before).unwrap();
    let more = fs::read(path).unwrap();
    for length in good.len()..=more.len() {
        fs::write(path, &more[..length]).unwrap();
        let sound = whole.dir.verify().unwrap();
        let unfinished = length > good.len() && length < more.len();
        assert_eq!(sound.unfinished, unfinished, "{length}");
        assert_eq!(sound.last, if length == more.len() { 10 } else { 9 });
    }
    let mut strange = good.clone();
    strange.extend_from_slice(b"xyz");
    assert_eq!(whole.with(2, &strange).what, What::Unended);
}

#[derive(Clone, Debug)]
enum Harm {
    Flip(usize, u8),
    Remove(usize),
    Add(usize, Vec<u8>),
    Swap(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = || any::<usize>();
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        at().prop_map(Harm::Remove),
        (at(), prop::collection::vec(any::<u8>(), 1..200)).prop_map(|(at, it)| Harm::Add(at, it)),
        (at(), at()).prop_map(|(one, other)| Harm::Swap(one, other)),
        (at(), at()).prop_map(|(one, other)| Harm::Repeat(one, other)),
        at().prop_map(Harm::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is done to one file, the first line that is not as it was is the one that is named.
    #[test]
    fn whatever_is_done_is_found(n in 1..40_usize, most in 100..5_000_u64, file: usize, harm in harm()) {
        let whole = Whole::new(n, most);
        let file = file % whole.files.len();
        let good = whole.files[file].1.clone();
        let lines = whole.lines(file);
        let mut bad = lines.clone();
        let bytes = match harm {
            Harm::Flip(at, bit) => {
                let mut bytes = good.clone();
                bytes[at % good.len()] ^= 1 << bit;
                bytes
            }
            Harm::Remove(at) => { bad.remove(at % lines.len()); bad.concat() }
            Harm::Add(at, mut it) => { it.push(b'\n'); bad.insert(at % lines.len(), it); bad.concat() }
            Harm::Swap(one, other) => { bad.swap(one % lines.len(), other % lines.len()); bad.concat() }
            Harm::Repeat(one, other) => {
                bad.insert(one % lines.len(), lines[other % lines.len()].clone());
                bad.concat()
            }
            Harm::Cut(at) => good[..at % good.len()].to_vec(),
        };
        prop_assume!(bytes != good);
        let same = good.iter().zip(&bytes).take_while(|(ours, theirs)| ours == theirs).count();
        let broken = whole.with(file, &bytes);
        prop_assert_eq!(broken.seq, whole.at(file, same).0, "{}", broken);
        whole.dir.verify().unwrap();
    }
}
