// Package kubernetes judges rendered manifests as an API server would: built-in kinds by the types of
// k8s.io/api, where no field may be unknown, pods by the rules of pod security at the restricted level,
// and the kinds of operators by the schemas of their own definitions.
package kubernetes

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// Judge knows the kinds that may be in a manifest.
type Judge struct {
	builtIn   runtime.Decoder
	scheme    *runtime.Scheme
	defined   map[schema.GroupVersionKind]*spec.Schema
	evaluator policy.Evaluator
}

// NewJudge makes a judge who knows the built-in kinds, and those that these definitions define.
func NewJudge(definitions [][]byte) (*Judge, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, autoscalingv2.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	judge := &Judge{codecs.UniversalDeserializer(), scheme, map[schema.GroupVersionKind]*spec.Schema{}, evaluator}
	for _, definition := range definitions {
		if err := judge.learn(definition); err != nil {
			return nil, err
		}
	}
	return judge, nil
}

// definition is what matters here of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Group    string
		Names    struct{ Kind string }
		Versions []struct {
			Name   string
			Served bool
			Schema struct {
				OpenAPIV3Schema *spec.Schema `json:"openAPIV3Schema"`
			}
		}
	}
}

func (judge *Judge) learn(document []byte) error {
	var found definition
	if err := yaml.Unmarshal(document, &found); err != nil {
		return err
	}
	for _, version := range found.Spec.Versions {
		if !version.Served || version.Schema.OpenAPIV3Schema == nil {
			continue
		}
		kind := schema.GroupVersionKind{Group: found.Spec.Group, Version: version.Name, Kind: found.Spec.Names.Kind}
		closeFields(version.Schema.OpenAPIV3Schema)
		judge.defined[kind] = version.Schema.OpenAPIV3Schema
	}
	return nil
}

// closeFields refuses what a schema does not name, which an API server takes away in silence.
func closeFields(within *spec.Schema) {
	if open, _ := within.Extensions.GetBool("x-kubernetes-preserve-unknown-fields"); open {
		return
	}
	for name, field := range within.Properties {
		closeFields(&field)
		within.Properties[name] = field
	}
	if within.Items != nil && within.Items.Schema != nil {
		closeFields(within.Items.Schema)
	}
	if within.AdditionalProperties != nil && within.AdditionalProperties.Schema != nil {
		closeFields(within.AdditionalProperties.Schema)
	}
	if len(within.Properties) > 0 && within.AdditionalProperties == nil {
		within.AdditionalProperties = &spec.SchemaOrBool{Allows: false}
	}
}

// Check says what is wrong with an object, or nothing.
func (judge *Judge) Check(document []byte) []error {
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return []error{err}
	}
	kind := head.GroupVersionKind()
	if defined, known := judge.defined[kind]; known {
		return checkDefined(defined, document)
	}
	if !judge.scheme.Recognizes(kind) {
		return []error{fmt.Errorf("nobody defines %s", kind)}
	}
	object, _, err := judge.builtIn.Decode(document, nil, nil)
	if err != nil {
		return []error{err}
	}
	return judge.checkPods(object)
}

func checkDefined(defined *spec.Schema, document []byte) []error {
	var object map[string]any
	if err := yaml.Unmarshal(document, &object); err != nil {
		return []error{err}
	}
	return validate.NewSchemaValidator(defined, nil, "", strfmt.Default).Validate(object).Errors
}

// checkPods asks for the restricted level of whatever makes pods.
func (judge *Judge) checkPods(object runtime.Object) []error {
	var template corev1.PodTemplateSpec
	switch object := object.(type) {
	case *appsv1.Deployment:
		template = object.Spec.Template
	case *appsv1.StatefulSet:
		template = object.Spec.Template
	case *batchv1.Job:
		template = object.Spec.Template
	default:
		return nil
	}
	level := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	var problems []error
	for _, result := range judge.evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
		if !result.Allowed {
			problems = append(problems, fmt.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
	return problems
}
