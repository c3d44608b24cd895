package hubtest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// pushed is what a hub that takes files knows: the store of large files by their SHA-256, and parts that have arrived.
type pushed struct {
	store map[string]string
	parts map[string][]string
}

// push answers what sends files. ok is false for any other request. All of it wants the hub's token.
func (h *Hub) push(w http.ResponseWriter, r *http.Request) (ok bool) {
	path := r.URL.EscapedPath()
	create := path == "/api/repos/create"
	name, rest, batch := strings.Cut(strings.TrimPrefix(path, "/"), ".git/info/lfs/objects/batch")
	parts := strings.Split(strings.TrimPrefix(path, "/api/models/"), "/")
	api := strings.HasPrefix(path, "/api/models/") && len(parts) == 4 && (parts[2] == "preupload" || parts[2] == "commit")
	verify := strings.HasPrefix(path, "/verify/")
	whole := strings.HasPrefix(path, "/whole/")
	if r.Method != http.MethodPost || !create && (!batch || rest != "") && !api && !verify && !whole {
		return false
	}
	// The address of what has come in pieces is a secret by itself.
	if !whole && (h.Token == "" || r.Header.Get("Authorization") != "Bearer "+h.Token) {
		http.Error(w, `{"error":"Invalid credentials"}`, http.StatusUnauthorized)
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pushed.store == nil {
		h.pushed = pushed{map[string]string{}, map[string][]string{}}
	}
	switch {
	case create:
		h.create(w, r)
	case batch:
		h.batch(w, r, name)
	case verify, whole:
		h.arrived(w, r)
	case parts[2] == "preupload":
		h.sort(w, r, parts[0]+"/"+parts[1])
	default:
		h.commit(w, r, parts[0]+"/"+parts[1])
	}
	return true
}

func (h *Hub) create(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Name, Organization, Visibility string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := ask.Organization + "/" + ask.Name
	if _, ok := h.Models[name]; ok {
		http.Error(w, fmt.Sprintf(`{"error":"You already created this model repo","url":%q}`, h.URL+"/"+name), http.StatusConflict)
		return
	}
	h.Models[name], h.Private[name] = Repo{}, ask.Visibility == "private"
	fmt.Fprintf(w, `{"url":%q}`, h.URL+"/"+name)
}

// sort says of each file whether it is large, and what the repository has of that name.
func (h *Hub) sort(w http.ResponseWriter, r *http.Request, name string) {
	var ask struct {
		Files []struct {
			Path, Sample string
			Size         int64
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	files := []map[string]any{}
	for _, f := range ask.Files {
		mode := "regular"
		if f.Size >= Large {
			mode = "lfs"
		}
		said := map[string]any{"path": f.Path, "uploadMode": mode, "shouldIgnore": strings.HasSuffix(f.Path, ".ignored")}
		if content, ok := h.Models[name][f.Path]; ok {
			long, short := Hashes(content)
			said["oid"] = short
			if mode == "lfs" {
				said["oid"] = long
			}
		}
		files = append(files, said)
	}
	json.NewEncoder(w).Encode(map[string]any{"files": files})
}

// batch says where large files go: in pieces from h.Pieces bytes on, where that is not 0.
func (h *Hub) batch(w http.ResponseWriter, r *http.Request, name string) {
	var ask struct {
		Objects []struct {
			OID  string
			Size int64
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	objects := []map[string]any{}
	for _, o := range ask.Objects {
		said := map[string]any{"oid": o.OID, "size": o.Size}
		if _, ok := h.pushed.store[o.OID]; !ok {
			up := map[string]any{"href": h.CDN + "/put/" + o.OID}
			if h.Pieces > 0 && o.Size > h.Pieces {
				header := map[string]any{"chunk_size": fmt.Sprint(h.Pieces)}
				for n := int64(0); n*h.Pieces < o.Size; n++ {
					header[fmt.Sprintf("%05d", n+1)] = fmt.Sprintf("%s/put/%s/%d", h.CDN, o.OID, n+1)
				}
				up = map[string]any{"href": h.URL + "/whole/" + o.OID, "header": header}
			}
			said["actions"] = map[string]any{"upload": up, "verify": map[string]any{"href": h.URL + "/verify/" + o.OID}}
		}
		objects = append(objects, said)
	}
	json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}

// arrived checks what has come of a large file, and joins its pieces.
func (h *Hub) arrived(w http.ResponseWriter, r *http.Request) {
	what, oid, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if what == "whole" {
		h.pushed.store[oid] = strings.Join(h.pushed.parts[oid], "")
	}
	if long, _ := Hashes(h.pushed.store[oid]); long != oid {
		delete(h.pushed.store, oid)
		http.Error(w, `{"error":"the content has another hash"}`, http.StatusUnprocessableEntity)
	}
}

// Put takes a large file or a piece of one, on the second server.
func (h *Hub) Put(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(raw)) {
		http.Error(w, "cut off", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	oid, n, piece := strings.Cut(strings.TrimPrefix(r.URL.Path, "/put/"), "/")
	if !piece {
		h.pushed.store[oid] = string(raw)
		return
	}
	var at int
	fmt.Sscan(n, &at)
	for len(h.pushed.parts[oid]) < at {
		h.pushed.parts[oid] = append(h.pushed.parts[oid], "")
	}
	h.pushed.parts[oid][at-1] = string(raw)
	w.Header().Set("ETag", fmt.Sprintf("%q", n))
}

// commit puts the files into the repository.
func (h *Hub) commit(w http.ResponseWriter, r *http.Request, name string) {
	repo := h.Models[name]
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct {
			Key   string
			Value struct{ Path, Content, OID, Summary string }
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		switch line.Key {
		case "header":
			h.Messages = append(h.Messages, line.Value.Summary)
		case "file":
			raw, err := base64.StdEncoding.DecodeString(line.Value.Content)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			repo[line.Value.Path] = string(raw)
		case "lfsFile":
			content, ok := h.pushed.store[line.Value.OID]
			if !ok {
				http.Error(w, `{"error":"an LFS object is missing"}`, http.StatusBadRequest)
				return
			}
			repo[line.Value.Path] = content
		}
	}
	page, _ := url.JoinPath(h.URL, name, "commit", Commit)
	json.NewEncoder(w).Encode(map[string]any{"success": true, "commitOid": Commit, "commitUrl": page})
}
