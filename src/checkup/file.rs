//! Who may read and write the files that matter.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Check, State, Topic};
use crate::config::Config;
use crate::process;

/// Those of a configuration that loads: what would be refused at a start does not come here.
pub(crate) fn files(config: &Config) -> Vec<Check> {
    let configuration = config.path.iter().map(|it| (it.clone(), false));
    let mut secrets: Vec<PathBuf> = config.keys.iter().flat_map(|it| it.source.files()).collect();
    secrets.sort();
    secrets.dedup();
    let secrets = secrets.into_iter().map(|it| (it, true));
    configuration.chain(secrets).filter_map(|(path, secret)| file(&path, secret)).collect()
}

/// `None` if it went meanwhile: who needs it says so.
fn file(path: &Path, secret: bool) -> Option<Check> {
    let about = fs::metadata(path).ok()?;
    let mode = about.mode() & 0o7777;
    let open = if secret { 0o077 } else { 0o022 };
    let line = worded(&about);
    let check = |state, line: String| {
        Check::new(Topic::Permissions, format!("file {}", path.display()), state, line)
    };
    Some(match mode & open {
        0 => check(State::Ok, line),
        _ if secret => check(State::Remark, format!("{line}: others can read this secret"))
            .fixed_by(format!("chmod 600 {}", path.display())),
        _ => check(State::Remark, format!("{line}: others can change it"))
            .fixed_by(format!("chmod go-w {}", path.display())),
    })
}

/// Owner and mode.
pub(super) fn worded(about: &Metadata) -> String {
    let (owner, mode) = (about.uid(), about.mode() & 0o7777);
    let whose = if owner == process::user() { " (this one)" } else { "" };
    format!("of user {owner}{whose}, mode {mode:04o}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_mode_that_lets_others_in_is_told() {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).join(format!(
            "checkup-{}",
            crate::clock::Ulid::new(crate::clock::UnixMicros(1)).as_str()
        ));
        fs::write(&path, "x").unwrap();
        for (mode, secret, state) in [
            (0o600, true, State::Ok),
            (0o640, true, State::Remark),
            (0o644, false, State::Ok),
            (0o664, false, State::Remark),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let check = file(&path, secret).unwrap();
            assert_eq!(check.state, state, "{mode:o} {check:?}");
            assert_eq!(check.fix.is_empty(), state == State::Ok);
        }
        fs::remove_file(&path).unwrap();
        assert!(file(&path, true).is_none());
    }
}
