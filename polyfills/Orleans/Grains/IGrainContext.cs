namespace Orleans.Runtime;

/// <summary>One activation of a grain, as its own code may see it.</summary>
public interface IGrainContext
{
    GrainId GrainId { get; }

    /// <summary>The grain object; null until its constructor has returned.</summary>
    object? GrainInstance { get; }

    /// <summary>Services of a scope that ends with the activation.</summary>
    IServiceProvider ActivationServices { get; }
}
