using System.Globalization;

namespace Cluster.Models;

/// <summary>Reads a model's options by name, type and range, and notices those that nobody read.</summary>
public sealed class ModelOptions(string model, IReadOnlyDictionary<string, object> values)
{
    private readonly SortedSet<string> read = new(StringComparer.Ordinal);

    /// <summary>A whole number within [<paramref name="minimum"/>, <paramref name="maximum"/>].</summary>
    public int Whole(string name, int fallback, int minimum, int maximum) => Find(name) switch
    {
        null => fallback,
        long value when value >= minimum && value <= maximum => (int)value,
        var value => throw Wrong(
            name, value, string.Create(CultureInfo.InvariantCulture, $"give a whole number from {minimum} to {maximum}")),
    };

    /// <summary>A number that <paramref name="accepts"/> takes; <paramref name="allowed"/> says which those are.</summary>
    public double Number(string name, double fallback, string allowed, Func<double, bool> accepts)
    {
        switch (Find(name))
        {
            case null:
                return fallback;
            case long value when accepts(value):
                return value;
            case double value when accepts(value):
                return value;
            case var value:
                throw Wrong(name, value, $"give a number {allowed}");
        }
    }

    /// <summary>Yes or no.</summary>
    public bool Flag(string name, bool fallback) => Find(name) switch
    {
        null => fallback,
        bool value => value,
        var value => throw Wrong(name, value, "give true or false"),
    };

    /// <summary>One of the words; the first is the default.</summary>
    public string Choice(string name, params IReadOnlyList<string> words) => Find(name) switch
    {
        null => words[0],
        string value when words.Contains(value, StringComparer.Ordinal) => value,
        var value => throw Wrong(name, value, $"give one of: {string.Join(", ", words)}"),
    };

    /// <summary>Refuses a value that its own range allows but another option rules out.</summary>
    public ModelOptionException Wrong(string name, object value, string remedy) =>
        new(string.Create(CultureInfo.InvariantCulture, $"model.options.{name} is {value}; {remedy} ({model})"));

    /// <summary>Throws for an option that the model did not ask for.</summary>
    public void EnsureAllRead()
    {
        var unknown = values.Keys.FirstOrDefault(name => !read.Contains(name));
        if (unknown is not null)
            throw new ModelOptionException($"model.options.{unknown} is not an option of {model}; it has: {string.Join(", ", read)}");
    }

    private object? Find(string name)
    {
        read.Add(name);
        return values.GetValueOrDefault(name) switch
        {
            int value => (long)value,
            var value => value,
        };
    }
}
