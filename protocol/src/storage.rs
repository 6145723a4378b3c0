//! A gateway's own store, into which it wants its renditions: an upload form, filled in and signed by the gateway beforehand.
//!
//! The form is that of browsers' uploads to S3 and Google Cloud Storage. Source: go-tools' drivers, which the reference uses at both
//! ends.

use crate::pb;

/// Whose form it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    S3,
    Google,
}

/// A gateway's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalStore {
    kind: Kind,
    info: pb::S3osInfo,
}

impl ExternalStore {
    /// The store that a segment's credentials name; `None` where the gateway fetches its renditions from the node.
    pub fn from_pb(info: &pb::OsInfo) -> Option<Self> {
        let kind = match info.storage_type() {
            pb::os_info::StorageType::S3 => Kind::S3,
            pb::os_info::StorageType::Google => Kind::Google,
            pb::os_info::StorageType::Direct => return None,
        };
        let info = info.s3info.clone()?;
        Some(Self { kind, info })
    }

    /// Where the form is posted: the host, which names the bucket.
    pub fn host(&self) -> &str {
        &self.info.host
    }

    /// The form's fields in front of the file `name`, a path below the store's key, of MIME type `mime`.
    pub fn fields(&self, name: &str, mime: &str) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("acl", "public-read".to_owned()),
            ("Content-Type", mime.to_owned()),
            // Written out: `${filename}`, as the reference has it, is not known to every store that speaks like S3.
            ("key", self.path(name)),
            ("policy", self.info.policy.clone()),
        ];
        let credential = self.info.credential.clone();
        let signature = self.info.signature.clone();
        match self.kind {
            Kind::S3 => fields.extend([
                ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
                ("x-amz-credential", credential),
                ("x-amz-date", self.info.x_amz_date.clone()),
                ("x-amz-signature", signature),
            ]),
            Kind::Google => {
                fields.extend([("GoogleAccessId", credential), ("signature", signature)])
            }
        }
        fields
    }

    /// File name in the form: the last part of `name`.
    pub fn file_name<'n>(&self, name: &'n str) -> &'n str {
        name.rsplit('/').next().unwrap_or(name)
    }

    /// Where the file is found afterwards.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{}", self.info.host, self.path(name))
    }

    /// Key and name as one path, without empty parts, `.` and steps up: it stays below the key.
    fn path(&self, name: &str) -> String {
        let parts = self.info.key.split('/').chain(name.split('/'));
        let parts = parts.filter(|part| !matches!(*part, "" | "." | ".."));
        parts.collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(kind: pb::os_info::StorageType) -> Option<ExternalStore> {
        ExternalStore::from_pb(&pb::OsInfo {
            storage_type: kind.into(),
            s3info: Some(pb::S3osInfo {
                host: "https://bucket.s3.amazonaws.com".into(),
                key: "stream/abc".into(),
                policy: "cG9saWN5".into(),
                signature: "5161".into(),
                credential: "AK/20261125/region/s3/aws4_request".into(),
                x_amz_date: "20261125T000000Z".into(),
            }),
        })
    }

    #[test]
    fn a_form_for_s3_has_the_gateways_signature_and_the_name_below_its_key() {
        let store = store(pb::os_info::StorageType::S3).expect("a store");
        let fields = store.fields("P144p/7.ts", "video/mp2t");
        let expected = [
            ("acl", "public-read"),
            ("Content-Type", "video/mp2t"),
            ("key", "stream/abc/P144p/7.ts"),
            ("policy", "cG9saWN5"),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", "AK/20261125/region/s3/aws4_request"),
            ("x-amz-date", "20261125T000000Z"),
            ("x-amz-signature", "5161"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(fields, expected);
        assert_eq!(store.file_name("P144p/7.ts"), "7.ts");
        assert_eq!(
            store.url("P144p/7.ts"),
            "https://bucket.s3.amazonaws.com/stream/abc/P144p/7.ts"
        );
    }

    #[test]
    fn a_form_for_google_has_its_own_names() {
        let store = store(pb::os_info::StorageType::Google).expect("a store");
        let fields = store.fields("7.ts", "video/mp2t");
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        let expected = [
            "acl",
            "Content-Type",
            "key",
            "policy",
            "GoogleAccessId",
            "signature",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_profile_cannot_step_out_of_the_key() {
        let store = store(pb::os_info::StorageType::S3).expect("a store");
        assert_eq!(
            store.url("../../other//./7.ts"),
            "https://bucket.s3.amazonaws.com/stream/abc/other/7.ts"
        );
    }

    #[test]
    fn without_a_store_the_node_keeps_renditions() {
        assert_eq!(store(pb::os_info::StorageType::Direct), None);
        let unsaid = pb::OsInfo {
            storage_type: 1,
            s3info: None,
        };
        assert_eq!(ExternalStore::from_pb(&unsaid), None);
    }
}
