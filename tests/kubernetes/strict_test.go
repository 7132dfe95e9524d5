package kubernetes

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Where operators define their kinds: in the modules of their sources, at the versions that the
// manifests are written for.
var operators = []struct{ module, version, folder string }{
	{"github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds"},
	{"github.com/cloudnative-pg/cloudnative-pg", "v1.29.0", "config/crd/bases"},
	{"github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases"},
	{"github.com/prometheus-operator/prometheus-operator", "v0.88.0", "example/prometheus-operator-crd"},
}

const repository = "../.."

func judge(t *testing.T) *Judge {
	t.Helper()
	var definitions [][]byte
	for _, operator := range operators {
		told, err := exec.Command("go", "mod", "download", "-json", operator.module+"@"+operator.version).Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", operator.module, err, told)
		}
		var module struct{ Dir string }
		if err := json.Unmarshal(told, &module); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(module.Dir, operator.folder, "*_*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s defines nothing in %s: %v", operator.module, operator.folder, err)
		}
		for _, file := range files {
			document, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			definitions = append(definitions, document)
		}
	}
	judge, err := NewJudge(definitions)
	if err != nil {
		t.Fatal(err)
	}
	return judge
}

func render(t *testing.T, overlay string) []string {
	t.Helper()
	kustomize := filepath.Join(repository, "target/tools/bin/kustomize")
	rendered, err := exec.Command(kustomize, "build", filepath.Join(repository, "k8s/overlays", overlay)).Output()
	if err != nil {
		t.Fatalf("%s: %v", overlay, err)
	}
	return strings.Split(string(rendered), "\n---\n")
}

func TestEveryObjectIsWhatItsKindDefines(t *testing.T) {
	judge := judge(t)
	for _, overlay := range []string{"dev", "staging", "production"} {
		for _, document := range render(t, overlay) {
			for _, problem := range judge.Check([]byte(document)) {
				t.Errorf("%s: %v in\n%s", overlay, problem, document)
			}
		}
	}
}

func TestWhatIsNotIsRefused(t *testing.T) {
	judge := judge(t)
	documents := strings.Join(render(t, "production"), "\n---\n")
	for _, change := range []struct{ from, to, because string }{
		{"terminationGracePeriodSeconds:", "terminationGraceSeconds:", "unknown field"},
		{"minReplicas: 3", "minReplicas: three", "cannot unmarshal"},
		{"unhealthyPodEvictionPolicy:", "unhealthyPodEviction:", "unknown field"},
		{"podManagementPolicy:", "podManagement:", "unknown field"},
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"dataDurability: required", "dataDurability: always", "should be one of"},
		{"failoverQuorum: true", "failoverQuorums: true", "forbidden"},
		{"databaseReclaimPolicy: retain", "databaseReclaimPolicy: keep", "should be one of"},
		{"- client auth", "- client authentication", "should be one of"},
		{"rotationPolicy: Always", "rotation: Always", "forbidden"},
		{"creationPolicy: Owner", "creationPolicy: Mine", "should be one of"},
		{"kind: Certificate\n", "kind: Certificates\n", "nobody defines"},
	} {
		broken := strings.Replace(documents, change.from, change.to, 1)
		if broken == documents {
			t.Errorf("there is no %s", change.from)
		}
		var told []string
		for _, document := range strings.Split(broken, "\n---\n") {
			for _, problem := range judge.Check([]byte(document)) {
				told = append(told, problem.Error())
			}
		}
		if !strings.Contains(strings.Join(told, "\n"), change.because) {
			t.Errorf("%s was not refused for %q, but for %q", change.to, change.because, told)
		}
	}
}
