using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>Writes down what was not said.</summary>
internal static class JobDefaults
{
    /// <summary>Fills every field that <paramref name="isGiven"/> denies, and every option of the model, in place.</summary>
    public static void Fill(JobSpec spec, Func<JobField, bool> isGiven)
    {
        // Asked before the first holder is made, since a message that was absent is how a received spec says "not given".
        var missing = JobFields.All.Where(field => !isGiven(field)).ToList();
        foreach (var field in JobFields.All)
            field.Holder(spec);
        foreach (var field in missing.Where(field => field.AppliesTo(spec)))
        {
            if (field.Default(spec) is { } value)
                field.Set(spec, value);
        }

        FillEntries(spec);
        FillOptions(spec);
    }

    private static void FillEntries(JobSpec spec)
    {
        foreach (var field in JobFields.OfEntries)
        {
            foreach (var entry in field.Entries(spec).Where(entry => JobField.IsUnset(field.Descriptor.Accessor.GetValue(entry))))
            {
                if (field.Default(spec) is { } value)
                    field.Descriptor.Accessor.SetValue(entry, value);
            }
        }
    }

    private static void FillOptions(JobSpec spec)
    {
        if (!ModelCatalog.TryGet(spec.Model.Name, out var model) || DataCatalog.Of(spec.Data) is not { } data)
            return;
        foreach (var option in model.Options)
        {
            if (!spec.Model.Options.TryGetValue(option.Name, out var given))
                spec.Model.Options[option.Name] = option.DefaultFor(data);
            else if (option.Coerce(given) is { } coerced)
                spec.Model.Options[option.Name] = coerced;
        }
    }
}
