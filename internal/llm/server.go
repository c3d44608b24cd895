package llm

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"lwtrain/internal/transport"
)

// Server is where a model is asked over HTTP (chat/completions). Each field is a key of the
// YAML: package configs shows its comment to users and checks values by its tags.
type Server struct {
	// address up to the version, such as http://localhost:8000/v1; empty: none
	URL string `yaml:"url"`
	// name of the model there
	Model string `yaml:"model"`
	// environment variable with the key; the key itself is written nowhere
	KeyEnv string `yaml:"key_env" identity:"none"`
	// seconds until a reply begins; what comes of it is read as it comes, however long that takes
	Timeout int `yaml:"timeout" identity:"none" min:"1"`
	// how often a request is made again that failed for a while (429, 5xx, no connection)
	Retries int `yaml:"retries" identity:"none" min:"0" max:"100"`
	// requests under way at once
	Concurrency int `yaml:"concurrency" identity:"none" min:"1" max:"1024"`
}

// DefaultServer is what holds where nothing else is said. It has no address: nobody is
// asked.
func DefaultServer() Server {
	return Server{KeyEnv: "OPENAI_API_KEY", Timeout: 600, Retries: 6, Concurrency: 4}
}

// Who is the model and where it is asked.
func (s Server) Who() string { return s.Model + " at " + s.URL }

// Local reports whether the server is on this machine.
func (s Server) Local() bool {
	u, err := url.Parse(s.URL)
	if err != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// Mask returns a text without the key of the server.
func (s Server) Mask(text string) string { return transport.Mask(text, os.Getenv(s.KeyEnv)) }

// Validate returns what is wrong between the options of the server that is configured
// under name, by key; nothing when all is well.
func (s Server) Validate(name string) map[string]string {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "" && s.Model != "":
		return map[string]string{name + ".url": "missing, want the address of the server that has " + s.Model}
	case s.URL == "":
		return nil
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return map[string]string{name + ".url": fmt.Sprintf("%q, want an address such as http://localhost:8000/v1", s.URL)}
	case u.RawQuery != "" || u.Fragment != "":
		return map[string]string{
			name + ".url": fmt.Sprintf("%q, want an address that ends with a path: /chat/completions follows it", s.URL),
		}
	case u.User != nil:
		return map[string]string{
			name + ".url": "an address with a password in it, want the key in the environment variable that " + name + ".key_env names",
		}
	case s.Model == "":
		return map[string]string{name + ".model": "missing, want the name of a model that the server has"}
	}
	return nil
}
