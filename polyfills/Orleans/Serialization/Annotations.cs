namespace Orleans;

/// <summary>The type may cross a grain call. Each member that is part of its value needs an <see cref="IdAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Enum)]
public sealed class GenerateSerializerAttribute : Attribute;

/// <summary>A member's number on the wire: unique in its type, never reused.</summary>
[AttributeUsage(
    AttributeTargets.Field | AttributeTargets.Property | AttributeTargets.Parameter | AttributeTargets.Class
    | AttributeTargets.Struct | AttributeTargets.Enum | AttributeTargets.Method)]
public sealed class IdAttribute(uint id) : Attribute
{
    public uint Id { get; } = id;
}

/// <summary>A name on the wire that survives a rename of the type or method.</summary>
[AttributeUsage(
    AttributeTargets.Class | AttributeTargets.Interface | AttributeTargets.Struct | AttributeTargets.Enum | AttributeTargets.Method,
    AllowMultiple = true)]
public sealed class AliasAttribute(string alias) : Attribute
{
    public string Alias { get; } = alias;
}

/// <summary>
/// A promise that nobody changes the value after it was passed. The genuine runtime then skips the copy inside one process;
/// this one copies all the same, which nobody can tell while the promise holds.
/// </summary>
[AttributeUsage(
    AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Field | AttributeTargets.Property | AttributeTargets.Parameter
    | AttributeTargets.ReturnValue,
    Inherited = false)]
public sealed class ImmutableAttribute : Attribute;

/// <summary>Marks an <see cref="IConverter{TValue, TSurrogate}"/> that the runtime is to use.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct)]
public sealed class RegisterConverterAttribute : Attribute;

/// <summary>Carries a type that cannot be annotated across a grain call as a surrogate that can.</summary>
/// <typeparam name="TValue">The type to carry.</typeparam>
/// <typeparam name="TSurrogate">What travels in its place: a <see cref="GenerateSerializerAttribute"/> struct.</typeparam>
public interface IConverter<TValue, TSurrogate>
    where TSurrogate : struct
{
    TValue ConvertFromSurrogate(in TSurrogate surrogate);

    TSurrogate ConvertToSurrogate(in TValue value);
}

/// <summary>How long a caller waits for this method's answer, in place of <c>SiloMessagingOptions.ResponseTimeout</c>.</summary>
/// <param name="timeout">As <see cref="TimeSpan.Parse(string)"/> reads it.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ResponseTimeoutAttribute(string timeout) : Attribute
{
    public TimeSpan? Timeout { get; init; } = TimeSpan.Parse(timeout);
}
