//! Who may log in: passwords and their hashes, public keys, names of accounts.

use super::arguments::Arguments;
use super::values::Wrong;
use base64::Engine;

/// What is wrong with a password that is given as its hash, or not.
pub(super) fn password(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    let text = match command {
        "user" | "bootloader" => arguments.value("--password"),
        _ => arguments.words.first().map(String::as_str),
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else { return };
    let crypted = arguments.has("--iscrypted");
    if command == "bootloader" {
        if crypted && !text.starts_with("grub.pbkdf2.") {
            wrong
                .push(("password", "the boot loader's password is not one that grub2-mkpasswd-pbkdf2 made".to_owned()));
        }
    } else if crypted {
        // The text itself is never shown: it may be a password.
        if let Some(why) = hash_problem(text) {
            wrong.push(("password", format!("'{command} --iscrypted' is given no password hash: {why}")));
        }
    } else if ["$1$", "$5$", "$6$", "$y$", "$gy$", "$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start)) {
        wrong.push((
            "password",
            format!("'{command}' is given a password hash as plain text: '--iscrypted' is missing"),
        ));
    }
}

/// Why a text is no crypt(3) hash; locked ones (`!`, `*`) are.
fn hash_problem(text: &str) -> Option<&'static str> {
    let text = text.strip_prefix('!').unwrap_or(text);
    if matches!(text, "" | "*" | "!" | "!!") {
        return None;
    }
    let base64 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    let Some(rest) = text.strip_prefix('$') else { return Some("it does not begin with $6$ or another method") };
    let mut fields = rest.split('$');
    let method = fields.next().unwrap_or_default();
    let fields: Vec<&str> = fields.collect();
    let (salts, digest) = match fields.split_last() {
        Some((digest, salts)) => (salts, *digest),
        None => return Some("it has no salt"),
    };
    let lengths: &[usize] = match method {
        "1" => &[22],
        "5" => &[43],
        "6" => &[86],
        "2a" | "2b" | "2y" | "2x" => &[53],
        "y" | "gy" | "7" => &[43],
        _ => return Some("its method is unknown"),
    };
    if salts.is_empty() {
        return Some("it has no salt");
    }
    let counted = |salt: &&str| salt.strip_prefix("rounds=").is_some_and(|number| number.parse::<u32>().is_ok());
    if !base64(digest) || !salts.iter().all(|salt| base64(salt) || counted(salt)) {
        return Some("it has characters that no hash has");
    }
    (!lengths.contains(&digest.len())).then_some("its length is not that of its method")
}

/// What is wrong with the numbers and paths of a user or group.
pub(super) fn account_values(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    for option in ["--uid", "--gid"] {
        // The last number means nobody to the system's calls.
        if let Some(number) = arguments.number(option).filter(|number| !(0..i64::from(u32::MAX)).contains(number)) {
            wrong.push(("account", format!("'{command} {option}={number}' is no number that an account can have")));
        }
    }
    for option in ["--homedir", "--shell"] {
        if let Some(path) = arguments.value(option).filter(|path| !path.is_empty() && !path.starts_with('/')) {
            wrong.push(("account", format!("'{command} {option}={path}' is no absolute path")));
        }
    }
}

/// A public key: its kind, and base64 that says the same kind.
pub(super) fn ssh_key(text: &str) -> Option<Wrong> {
    let kinds = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    let mut words = text.split_whitespace().skip_while(|word| !kinds.iter().any(|kind| word.starts_with(kind)));
    let wrong = |what: String| Some(("ssh-key", what));
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return wrong("the key is none: a kind such as ssh-ed25519 and its base64 are expected".to_owned());
    };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(key) else {
        return wrong("the key is none: it is not base64".to_owned());
    };
    // The key begins with its kind, led by its length.
    let length = bytes.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize);
    let said = length.and_then(|length| bytes.get(4..length.checked_add(4)?));
    match said {
        Some(said) if said == kind.as_bytes() && bytes.len() > said.len() + 8 => None,
        _ => wrong(format!("the key is none: its base64 is no key of kind '{kind}'")),
    }
}

/// The name of a user or group, as shadow-utils has it.
pub(super) fn account(noun: &str, name: &str) -> Option<Wrong> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let body = name.strip_suffix('$').unwrap_or(name);
    let fits = !body.is_empty()
        && name.len() <= 32
        && body.bytes().all(plain)
        && !body.starts_with('-')
        && !matches!(body, "." | "..")
        && !body.bytes().all(|b| b.is_ascii_digit());
    (!fits).then(|| ("account", format!("'{name}' is no name of a {noun}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes() {
        let six = format!("$6$salt${}", "a".repeat(86));
        for good in [
            six.as_str(),
            "!!",
            "*",
            &format!("!{six}"),
            &format!("$6$rounds=5000$salt${}", "b".repeat(86)),
            &format!("$1$abc${}", "c".repeat(22)),
        ] {
            assert_eq!(hash_problem(good), None, "{good}");
        }
        assert!(hash_problem(&format!("$6$rounds=many$salt${}", "b".repeat(86))).is_some());
        for bad in ["plainpassword", "$6$abc$def", "$9$a$b", "$6$", "$6$salt", "abJnggxhB/yWI"] {
            assert!(hash_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn keys_say_their_kind() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here";
        assert_eq!(ssh_key(key), None);
        assert_eq!(ssh_key(&format!("from=\"10.1.1.1\" {key}")), None);
        for wrong in [
            "",
            "ssh-rsa",
            "ssh-rsa AAA",
            &key.replace("ssh-ed25519 ", "ssh-rsa "),
            &key.replace("AAAAC3", "AAAAC4"),
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "ssh-ed25519 /////w==",
        ] {
            assert!(ssh_key(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn accounts_have_numbers_and_absolute_paths() {
        let wrong = |option: &str, value: &str| {
            let mut wrong = Vec::new();
            account_values("user", &Arguments::default().with(option, value), &mut wrong);
            wrong.len()
        };
        assert_eq!(wrong("--uid", "0") + wrong("--gid", "4294967294") + wrong("--shell", "/bin/zsh"), 0);
        for (option, value) in [("--uid", "-1"), ("--gid", "4294967295"), ("--homedir", "home/a"), ("--shell", "zsh")] {
            assert_eq!(wrong(option, value), 1, "{option} {value}");
        }
    }

    #[test]
    fn accounts_have_names() {
        for name in ["admin", "a.b", "x-1", "_svc", "HOST$"] {
            assert_eq!(account("user", name), None);
        }
        for name in ["", "-a", "a:b", "a b", "..", "123", "\u{fc}", &"a".repeat(33)] {
            assert!(account("user", name).is_some(), "{name}");
        }
    }
}
