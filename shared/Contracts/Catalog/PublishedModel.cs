using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Catalog;

/// <summary>
/// A model as its paper has it, but for the options that are given: to look at, where no data set says what the images are.
/// </summary>
public static class PublishedModel
{
    /// <summary>A checked copy with every option written down.</summary>
    /// <exception cref="JobFileException">There is no such model or option, or an option is out of range.</exception>
    public static ModelSpec Complete(ModelSpec given)
    {
        var faults = JobSpecValidator.CheckModel(given);
        if (faults.Count > 0 || !ModelCatalog.TryGet(given.Name, out var model))
            throw new JobFileException(faults);
        var facts = model.Facts;
        var published = new DataDefinition(
            "published", DataLayout.Generated, facts.Channels, facts.InputSize, facts.InputSize, facts.Classes, TrainSamples: 0,
            TestSamples: 0, DefaultValidationSamples: 0, "");
        var complete = new ModelSpec { Name = model.Name };
        foreach (var option in model.Options)
            complete.Options[option.Name] = given.Options.TryGetValue(option.Name, out var value)
                ? option.Coerce(value)
                : option.DefaultFor(published);
        return complete;
    }

    /// <summary>
    /// A model and its options as a command line gives them: "width=0.5", each value's type told by its form, as in a job file.
    /// </summary>
    /// <exception cref="JobFileException">One of them is no assignment.</exception>
    public static ModelSpec Read(string name, IEnumerable<string> assignments)
    {
        var spec = new ModelSpec { Name = name };
        foreach (var assignment in assignments)
        {
            var parts = assignment.Split('=', 2);
            if (parts is not [{ Length: > 0 } option, { Length: > 0 } value])
                throw new JobFileException(
                    [new JobFileViolation("--option", assignment, "must be a name and a value", "write it as width=0.5")]);
            spec.Options[option] = YamlValue.Infer(new YamlScalar(value, IsPlain: true, Line: 0));
        }

        return spec;
    }
}
