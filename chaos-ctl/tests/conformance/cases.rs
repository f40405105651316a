//! The cases, each a test of its own. Says nothing else.

use std::collections::BTreeSet;
use std::fs;

use crate::case::directory;

/// A test for each case, and the list of them all.
macro_rules! cases {
    ($($subject:ident { $($name:ident)* })*) => {
        $(mod $subject {
            $(#[test]
            fn $name() {
                crate::play::compared(stringify!($subject), stringify!($name));
            })*
        })*

        /// The names of all cases.
        pub(crate) fn all() -> BTreeSet<String> {
            [$($(concat!(stringify!($subject), "/", stringify!($name)),)*)*]
                .into_iter()
                .map(str::to_owned)
                .collect()
        }
    };
}

cases! {
    background {
        breaks by_reference fails in_hypothesis not_in_it order pauses reference_in_background side_by_side
    }
    control {
        breaks_everywhere continuously deviates every_level handlers handlers_interrupted handlers_left
        interrupts_after_activity interrupts_after_experiment interrupts_after_hypothesis interrupts_after_method
        interrupts_before_activity interrupts_before_experiment interrupts_before_hypothesis interrupts_before_method
        interrupts_before_rollback interrupts_in_background invalid_by_itself leaves_before_activity
        leaves_without_rollbacks meddles no_module not_automatic not_met_before of_a_file of_a_hypothesis
        of_a_reference of_an_activity of_settings other_provider reference_alone reference_alone_unvalidated scopes
        signal two unknown_reference unknown_scope without_module without_name without_provider
    }
    document {
        constants directory duplicate_keys everything extension_yml in_a_directory journal_path journal_path_missing
        journal_stays journal_there json_empty json_list json_lone_surrogate json_malformed json_null
        json_with_comment large missing_file numbers strings tags_as_text timeout_true two_sources unknown_option
        upper_extension url_html url_json url_missing url_plain url_refused url_scheme url_yaml wrong_extension
        yaml_binary yaml_date_key yaml_dates yaml_duplicate_keys yaml_empty yaml_equals_sign yaml_key_types yaml_list
        yaml_malformed yaml_python_tag yaml_set yaml_shapes yaml_tab yaml_text yaml_two_documents yaml_unknown_alias
        yaml_unknown_tag yaml_words
    }
    dry {
        actions activities of_an_activity of_the_experiment pause probes unknown
    }
    http {
        bodies broken_json broken_json_in_hypothesis closed get hypothesis large methods no_scheme redirect_loop
        redirects refused request_headers response_headers says_who status_between statuses timeout_of_activity
        timeouts unknown_host unknown_scheme
    }
    invalid {
        activity_of_unknown_type activity_with_empty_name activity_without_name activity_without_provider
        activity_without_type background_of_wrong_type configuration_as_list configuration_env_without_key
        controls_as_map empty empty_activity empty_reference empty_tag empty_title extension_with_blank_name
        extension_without_name http_headers_of_wrong_type http_without_url hypothesis_without_title jsonpath_empty
        jsonpath_malformed jsonpath_of_wrong_type jsonpath_without_path method_as_map method_as_text no_description
        no_method no_title null_activity pause_of_wrong_type pauses_of_wrong_type probe_without_tolerance
        process_not_executable process_not_found process_without_path provider_of_unknown_type provider_without_type
        python_argument_by_place_only python_argument_missing python_argument_unknown python_function_missing
        python_module_missing python_without_function python_without_module range_as_text range_of_one range_of_texts
        range_with_text_above range_without_range reference_of_wrong_type regex_malformed regex_of_wrong_type
        regex_without_pattern rollback_invalid rollback_null secrets_as_list several_problems tag_of_wrong_type
        timeout_of_wrong_type tolerance_of_unknown_type tolerance_probe_invalid tolerance_without_type
    }
    pause {
        as_list negative numbers of_a_failure substituted text unknown unknown_after
    }
    process {
        arguments_list arguments_map arguments_text environment exit_codes not_found not_found_by_shell output_binary
        output_escapes output_large output_latin output_marked outputs path_is_not_substituted path_of_the_directory
        standard_input tilde_is_invalid timeouts with_configuration without_configuration
    }
    python {
        a_class a_class_is_invalid arguments builtin bytes copies ctrl_c later leaves leaves_without_rollbacks
        no_function no_module no_module_in_hypothesis not_for_the_journal not_numbers one_process prints raises
        raises_interruption told values wrong_arguments
    }
    refs {
        from_hypothesis same_name to_hypothesis to_later to_method to_rollback unknown unknown_in_rollbacks
        unknown_unvalidated
    }
    rollback {
        aborted aborts always_after_completion always_after_failure by_reference default deviated deviated_and_failed
        deviated_not deviated_not_met_before in_background never unknown
    }
    settings {
        authorization authorization_missing command_line_wins empty malformed notifications notifications_deviated
        notifications_http notifications_invalid of_the_experiment skip strategies unknown_rollback_strategy
        unknown_strategy
    }
    signal {
        from_background from_within int_in_process int_in_python int_in_rollback term_after_method
        term_deviated_strategy term_during term_in_http term_in_hypothesis term_in_pause_after term_in_process
        term_in_python term_in_rollback term_with_background term_with_rollbacks usr1_in_pause_before usr1_in_process
        usr1_in_python usr1_with_background usr2_in_process usr2_in_rollback usr2_with_background
    }
    strategy {
        after_only after_only_deviates before_only before_only_not_met continously_misspelt continuously
        continuously_not_met_before deviates during_only during_only_deviates during_raises empty_method fail_fast
        fails_after fails_before hypothesis_with_no_probes hypothesis_without_probes met method_fails no_hypothesis
        not_met_before unknown
    }
    tolerance {
        after_method_crashes empty_list false_is_not_null float float_unvalidated in_method jsonpath
        jsonpath_not_counted jsonpath_not_expected jsonpath_of_text jsonpath_substituted list_is_not_substituted met
        not_among_three null_is_invalid number_printed outside_two probe_fails probe_is_substituted probe_needs_value
        probe_process probe_python probe_says_no probe_without_arguments range range_exact range_of_mixed_types
        range_of_nothing range_of_null range_of_words range_outside regex regex_not_at_end regex_of_map
        regex_unknown_target substituted_to_number text_for_process text_is_no_number true_for_process
    }
    variables {
        ambiguous_name configuration dynamic dynamic_fails environment_missing environment_missing_unvalidated
        environment_of_unknown_type environment_of_wrong_type file_malformed file_missing file_of_the_environment files given given_bytes
        given_no_number given_of_unknown_type given_without_value secret_missing secrets secrets_reveal_nothing
        substitution substitution_of_title title_becomes_a_number vault vault_first_version
    }
}

#[test]
fn every_file_has_its_test() {
    let mut files = BTreeSet::new();
    for subject in fs::read_dir(directory()).unwrap() {
        let subject = subject.unwrap();
        for file in fs::read_dir(subject.path()).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            files.insert(format!("{}/{name}", subject.file_name().to_string_lossy()));
        }
    }
    assert_eq!(files, all());
}
