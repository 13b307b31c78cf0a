//! The `snapshot` object: what fields nodes, edges and locations have. Everything else is read by it.

use serde_json::Value;

use crate::Error;
use crate::kinds::{EdgeKind, NodeKind};

/// Most fields that a record may have: V8 has written 7.
pub(crate) const MAX_FIELDS: usize = 32;

/// Largest `snapshot` object that is read.
pub(crate) const MAX_HEADER: usize = 16 << 20;

/// Where the fields of a node are, and what its types mean.
#[derive(Debug, Clone)]
pub(crate) struct NodeLayout {
    pub(crate) fields: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    pub(crate) id: usize,
    pub(crate) self_size: usize,
    pub(crate) edge_count: usize,
    pub(crate) detachedness: Option<usize>,
    pub(crate) kinds: Vec<NodeKind>,
}

/// Where the fields of an edge are, and what its types mean.
#[derive(Debug, Clone)]
pub(crate) struct EdgeLayout {
    pub(crate) fields: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    pub(crate) to_node: usize,
    pub(crate) kinds: Vec<EdgeKind>,
}

/// Where the fields of a location are.
#[derive(Debug, Clone)]
pub(crate) struct LocationLayout {
    pub(crate) fields: usize,
    pub(crate) object: usize,
    pub(crate) script: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The header.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) nodes: NodeLayout,
    pub(crate) edges: EdgeLayout,
    pub(crate) locations: Option<LocationLayout>,
    /// As written; the sections tell how many there are.
    pub(crate) node_count: u64,
    pub(crate) edge_count: u64,
    pub(crate) extra_native_bytes: u64,
    /// Ordinal of the root.
    pub(crate) root: u64,
}

/// Reads the `snapshot` object.
pub(crate) fn parse(json: &[u8]) -> Result<Header, Error> {
    let wrong = |what: &str| Error::Header(what.to_owned());
    let value: Value = serde_json::from_slice(json).map_err(|error| Error::Header(format!("is no JSON ({error})")))?;
    let meta = value.get("meta").filter(|meta| meta.is_object()).ok_or_else(|| wrong("is not there"))?;
    let node_fields = names(meta, "node_fields").ok_or_else(|| wrong("has no node_fields"))?;
    let edge_fields = names(meta, "edge_fields").ok_or_else(|| wrong("has no edge_fields"))?;
    let at = |fields: &[String], name: &str| fields.iter().position(|field| field == name);
    let need = |fields: &[String], name: &str, of: &str| {
        at(fields, name).ok_or_else(|| Error::Header(format!("has no field {name} among {of}")))
    };
    if node_fields.len() > MAX_FIELDS || edge_fields.len() > MAX_FIELDS {
        return Err(Error::Header(format!("has records of more than {MAX_FIELDS} fields")));
    }
    let node_kind = need(&node_fields, "type", "node_fields")?;
    let edge_kind = need(&edge_fields, "type", "edge_fields")?;
    let node_kinds = kind_names(meta, "node_types", node_kind)?;
    let edge_kinds = kind_names(meta, "edge_types", edge_kind)?;
    let nodes = NodeLayout {
        fields: node_fields.len(),
        kind: node_kind,
        name: need(&node_fields, "name", "node_fields")?,
        id: need(&node_fields, "id", "node_fields")?,
        self_size: need(&node_fields, "self_size", "node_fields")?,
        edge_count: need(&node_fields, "edge_count", "node_fields")?,
        detachedness: at(&node_fields, "detachedness"),
        kinds: node_kinds.iter().map(|name| NodeKind::from_name(name)).collect(),
    };
    let edges = EdgeLayout {
        fields: edge_fields.len(),
        kind: edge_kind,
        name: need(&edge_fields, "name_or_index", "edge_fields")?,
        to_node: need(&edge_fields, "to_node", "edge_fields")?,
        kinds: edge_kinds.iter().map(|name| EdgeKind::from_name(name)).collect(),
    };
    let count = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    let root_index = count("root_index");
    if root_index % nodes.fields as u64 != 0 {
        return Err(Error::Header(format!("has a root_index of {root_index}, which is no node")));
    }
    Ok(Header {
        root: root_index / nodes.fields as u64,
        locations: locations(meta),
        node_count: count("node_count"),
        edge_count: count("edge_count"),
        extra_native_bytes: count("extra_native_bytes"),
        nodes,
        edges,
    })
}

fn locations(meta: &Value) -> Option<LocationLayout> {
    let fields = names(meta, "location_fields").filter(|fields| fields.len() <= MAX_FIELDS)?;
    let at = |name: &str| fields.iter().position(|field| field == name);
    Some(LocationLayout {
        fields: fields.len(),
        object: at("object_index")?,
        script: at("script_id")?,
        line: at("line")?,
        column: at("column")?,
    })
}

fn names(meta: &Value, key: &str) -> Option<Vec<String>> {
    let list = meta.get(key)?.as_array()?;
    Some(list.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect())
}

/// The names of a type field's values.
fn kind_names(meta: &Value, key: &str, field: usize) -> Result<Vec<String>, Error> {
    let list = meta.get(key).and_then(|types| types.get(field)).and_then(Value::as_array);
    let list = list.ok_or_else(|| Error::Header(format!("does not name the types of {key}")))?;
    if list.len() > 64 {
        return Err(Error::Header(format!("has {} types in {key}, more than 64", list.len())));
    }
    Ok(list.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect())
}
